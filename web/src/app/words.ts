// Words of the shell and of the shared components.
import { addWords } from '@/i18n';

addWords(
  'common',
  {
    loading: '正在加载',
    retry: '重试',
    close: '关闭',
    cancel: '取消',
    correlation: '查询编号',
    details: '详情',
    noPermission: '您没有查看此内容的权限',
    noPermissionHint: '如工作需要，请联系本单位的数据管家或安全管理员开通。',
  },
  {
    loading: 'Loading',
    retry: 'Try again',
    close: 'Close',
    cancel: 'Cancel',
    correlation: 'Reference',
    details: 'Details',
    noPermission: 'You may not see this',
    noPermissionHint: 'If your work needs it, ask your data steward or the security officer.',
  },
);

addWords(
  'shell',
  {
    brand: '蜀锦',
    skip: '跳到正文',
    navigation: '主导航',
    openNavigation: '打开导航',
    group: { work: '工作', sensing: '感知', data: '数据', system: '系统' },
    language: '切换为英文',
    toDark: '切换为深色',
    toLight: '切换为浅色',
    user: '用户菜单',
    account: '我的账号',
    signOut: '退出登录',
    stillIn: '没有退出成功，您仍在登录状态，请重试',
    live: '实时更新已连接',
    notLive: '实时更新未连接',
    appearance: '显示',
    signedInAs: '当前用户',
  },
  {
    brand: 'Shujin',
    skip: 'Skip to content',
    navigation: 'Main navigation',
    openNavigation: 'Open navigation',
    group: { work: 'Work', sensing: 'Sensing', data: 'Data', system: 'System' },
    language: '切换为中文',
    toDark: 'Switch to dark',
    toLight: 'Switch to light',
    user: 'User menu',
    account: 'My account',
    signOut: 'Sign out',
    stillIn: 'You are still signed in: signing out failed. Try again',
    live: 'Live updates are on',
    notLive: 'Live updates are off',
    appearance: 'Appearance',
    signedInAs: 'Signed in as',
  },
);

addWords(
  'area',
  {
    label: '区域',
    all: '全部可见区域',
    people: '{count} 人',
    none: '没有下级区域',
    choose: '选择区域',
  },
  {
    label: 'Area',
    all: 'All areas you may see',
    people: '{count} people',
    none: 'No areas below this one',
    choose: 'Choose an area',
  },
);

addWords(
  'time',
  {
    label: '时间',
    now: '现在',
    back: '回到现在',
    choose: '查看过去某一时刻',
    hint: '显示当时已知的数据，按今天的权限。',
    show: '查看',
    dayAgo: '一天前',
    weekAgo: '一周前',
    monthAgo: '一个月前',
    past: '正在查看过去：{at}',
  },
  {
    label: 'Time',
    now: 'Now',
    back: 'Back to now',
    choose: 'Look at a moment in the past',
    hint: 'Shows what was known then, under today’s rules.',
    show: 'Show',
    dayAgo: 'A day ago',
    weekAgo: 'A week ago',
    monthAgo: 'A month ago',
    past: 'You are looking at the past: {at}',
  },
);

addWords(
  'search',
  {
    title: '搜索',
    open: '搜索地点、对象和数据',
    placeholder: '输入地名、对象名或数据名',
    hint: '用上下键选择，按回车打开。',
    places: '地点',
    objects: '对象',
    datasets: '数据',
    nothing: '没有找到“{words}”',
    found: '找到 {count} 项',
  },
  {
    title: 'Search',
    open: 'Search places, objects and data',
    placeholder: 'Name of a place, an object or a dataset',
    hint: 'Choose with the arrow keys, open with Enter.',
    places: 'Places',
    objects: 'Objects',
    datasets: 'Data',
    nothing: 'Nothing found for “{words}”',
    found: '{count} found',
  },
);

addWords(
  'table',
  {
    sort: '按“{column}”排序',
    pages: '翻页',
    previous: '上一页',
    next: '下一页',
    range: '第 {from}–{to} 条，共 {total} 条',
  },
  {
    sort: 'Sort by {column}',
    pages: 'Pages',
    previous: 'Previous page',
    next: 'Next page',
    range: '{from}–{to} of {total}',
  },
);

addWords(
  'chart',
  {
    summary: '{title}，{kind}，{count} 个数据点',
    series: '{name}：最低 {low}，最高 {high}，最新 {last}',
    over: '{title}，{from} 至 {to}',
    gaps: '，缺数 {count} 段',
    kind: { line: '折线图', bar: '柱状图', scatter: '散点图', pie: '饼图' },
  },
  {
    summary: '{title}, {kind} of {count} points',
    series: '{name}: lowest {low}, highest {high}, latest {last}',
    over: '{title}, {from} to {to}',
    gaps: ', {count} gaps',
    kind: { line: 'line chart', bar: 'bar chart', scatter: 'scatter chart', pie: 'pie chart' },
  },
);

addWords(
  'tile',
  {
    target: '目标',
    floor: '底线',
    gap: '差距',
    beyondFloor: '突破底线 {floor}',
    reached: '达标',
    missed: '未达标',
    cut: '只显示前 {count} 行',
    wholeCity: '不分区域',
    showSource: '查看数据来源',
    sourceOf: '“{title}”的数据来源',
    empty: '没有数据',
    closed: '您无权查看这一项',
  },
  {
    target: 'Target',
    floor: 'Floor',
    gap: 'Gap',
    beyondFloor: 'Beyond the floor of {floor}',
    reached: 'on target',
    missed: 'off target',
    cut: 'The first {count} rows',
    wholeCity: 'Not by area',
    showSource: 'Show where this comes from',
    sourceOf: 'Where “{title}” comes from',
    empty: 'No data',
    closed: 'This one is not for you to see',
  },
);

addWords(
  'fresh',
  {
    fresh: '及时',
    late: '已过期',
    never: '还没有数据',
    unlimited: '未约定时效',
    unknown: '更新时间未知',
  },
  {
    fresh: 'Fresh',
    late: 'Out of date',
    never: 'No data yet',
    unlimited: 'No limit promised',
    unknown: 'Age unknown',
  },
);

addWords(
  'source',
  {
    sources: '数据来源',
    rows: '数据',
    columns: '每列从何而来',
    sql: '查询语句',
    copy: '复制语句',
    copied: '语句已复制',
    bench: '在查询台打开',
  },
  {
    sources: 'Sources',
    rows: 'Rows',
    columns: 'Where each column comes from',
    sql: 'Statement',
    copy: 'Copy statement',
    copied: 'Statement copied',
    bench: 'Open in the SQL bench',
  },
);

addWords(
  'lineage',
  {
    column: '结果列',
    from: '来自',
    none: '不来自任何字段（常量或计数）',
    deciding: '还决定了哪些行被计入',
    how: {
      identity: '原值',
      transformation: '经计算',
      aggregation: '汇总',
      filter: '筛选条件',
      group_by: '分组',
      sort: '排序',
      join: '关联',
      window: '窗口计算',
      conditional: '条件判断',
    },
  },
  {
    column: 'Column',
    from: 'Comes from',
    none: 'From no field (a constant or a count)',
    deciding: 'Also decided which rows count',
    how: {
      identity: 'as it is',
      transformation: 'computed',
      aggregation: 'aggregated',
      filter: 'filter',
      group_by: 'grouping',
      sort: 'order',
      join: 'join',
      window: 'window',
      conditional: 'condition',
    },
  },
);

addWords(
  'reason',
  {
    label: '理由',
    hint: '将写入记录，供日后查阅。',
    missing: '请填写理由',
  },
  {
    label: 'Reason',
    hint: 'It is kept in the record for whoever asks later.',
    missing: 'Give a reason',
  },
);

addWords(
  'problem',
  {
    unreachable: '连不上服务器',
    not_found: '没有找到，或您无权查看',
    syntax: '语句有误',
    invalid: '输入有误',
    column_not_found: '没有这个字段',
    unauthenticated: '需要登录',
    refused: '不允许',
    csrf: '页面已过期，请刷新后再试',
    conflict: '别人刚刚改过，请刷新后再试',
    unsupported: '不支持此操作',
    too_large: '超出大小限制',
    memory: '查询占用内存过多',
    busy: '服务器忙，请稍后再试',
    throttled: '尝试次数过多，请稍后再试',
    too_many_requests: '请求过于频繁，请稍后再试',
    cancelled: '已取消',
    timeout: '超时',
    internal: '服务器内部出错',
    other: '出错了',
  },
  {
    unreachable: 'The server cannot be reached',
    not_found: 'Not found, or not for you to see',
    syntax: 'The statement is wrong',
    invalid: 'Something in the input is wrong',
    column_not_found: 'No such field',
    unauthenticated: 'Sign in first',
    refused: 'Not allowed',
    csrf: 'This page is out of date; reload it and try again',
    conflict: 'Somebody else has just changed it; reload and try again',
    unsupported: 'This cannot be done',
    too_large: 'Over a limit of size',
    memory: 'The query took too much memory',
    busy: 'The server is busy; try again shortly',
    throttled: 'Too many attempts; try again later',
    too_many_requests: 'Too many requests; try again shortly',
    cancelled: 'Cancelled',
    timeout: 'It took too long',
    internal: 'Something failed inside the server',
    other: 'Something went wrong',
  },
);

addWords(
  'notFound',
  { title: '没有这个页面', hint: '地址可能有误，或页面已移走。', home: '回到首页' },
  {
    title: 'No such page',
    hint: 'The address may be wrong, or the page has moved.',
    home: 'Go home',
  },
);

// Words of the map itself, wherever it stands.
import { addWords } from '@/i18n';

addWords(
  'canvas',
  {
    loading: '正在绘制地图…',
    slow: '地图还没有画完，请稍候…',
    failed: '此浏览器不能绘制地图',
    failedHint: '需要 WebGL。',
    missing: {
      closed: '您无权查看：{layers}',
      too_large: '太大，不能显示：{layers}',
      failed: '没有加载出来：{layers}',
    },
  },
  {
    loading: 'Drawing the map…',
    slow: 'Still drawing the map…',
    failed: 'This browser cannot draw the map',
    failedHint: 'It needs WebGL.',
    missing: {
      closed: 'Not for you to see: {layers}',
      too_large: 'Too large to be shown: {layers}',
      failed: 'Could not be loaded: {layers}',
    },
  },
);

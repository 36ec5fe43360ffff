// Words of the map itself, wherever it stands.
import { addWords } from '@/i18n';

addWords(
  'canvas',
  {
    loading: '正在绘制地图…',
    slow: '地图还没有画完，请稍候…',
    failed: '此浏览器不能绘制地图',
    failedHint: '需要 WebGL。',
  },
  {
    loading: 'Drawing the map…',
    slow: 'Still drawing the map…',
    failed: 'This browser cannot draw the map',
    failedHint: 'It needs WebGL.',
  },
);

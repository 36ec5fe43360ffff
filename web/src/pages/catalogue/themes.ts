// Themes of datasets. A contract names its theme in one language only; those known here are told in
// both, others as they are.
import type { Text } from '@/api/types';
import { text } from '@/i18n';

const THEMES: Readonly<Record<string, Text>> = {
  system: { zh: '平台自身', en: 'The platform itself' },
  人口: { zh: '人口', en: 'Population' },
  公共服务: { zh: '公共服务', en: 'Public services' },
  城乡建设: { zh: '城乡建设', en: 'Town and country building' },
  城市感知: { zh: '城市感知', en: 'Urban sensing' },
  法人单位: { zh: '法人单位', en: 'Legal entities' },
  生态环保: { zh: '生态环保', en: 'Ecology and environment' },
  自然资源和空间地理: { zh: '自然资源和空间地理', en: 'Natural resources and geography' },
};

export const themeText = (theme: string): string => text(THEMES[theme]) || theme;

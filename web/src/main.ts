// The web face begins here.
import { createApp } from 'vue';
import App from './app/App.vue';
import './app/words';
import { watchPresence } from './app/presence';
import { router } from './app/router';
import { startTheme } from './app/theme';
import { i18n, language, setLanguage } from './i18n';
import './styles/tokens.css';
import './styles/base.css';

startTheme();
watchPresence();
setLanguage(language.value);
createApp(App).use(i18n).use(router).mount('#app');

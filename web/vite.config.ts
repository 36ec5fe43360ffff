/// <reference types="vitest/config" />
import { fileURLToPath } from 'node:url';
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';

// `npm run dev` asks a city that is already being served; with a token it speaks as that user.
const city = process.env.SHUJIN_HTTP ?? 'http://127.0.0.1:8080';
const token = process.env.SHUJIN_TOKEN;
const headers = token ? { authorization: `Bearer ${token}` } : {};
const toCity = { target: city, headers, changeOrigin: false };

export default defineConfig({
  plugins: [vue()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_DROP_MESSAGE_COMPILER__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    target: ['chrome109', 'firefox115', 'safari16.4'],
    // Styles and images stay files of their own: the content security policy has no `data:` styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
  },
  // The map's worker is a module of its own, served from where all else is.
  worker: { format: 'es' },
  server: { proxy: { '/api': toCity, '/tiles': toCity, '/ogc': toCity, '/sta': toCity } },
  test: {
    environment: 'happy-dom',
    include: ['tests/**/*.test.ts', 'src/**/*.test.ts'],
    // Beside a compiler that has all the cores, mounting a page takes seconds.
    testTimeout: 30_000,
  },
});

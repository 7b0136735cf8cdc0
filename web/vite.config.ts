import { defineConfig } from 'vitest/config'
import { shared } from './vite.shared.ts'

const api = process.env.STEPWAY_API_URL ?? 'http://127.0.0.1:8000'

export default defineConfig({
  ...shared,
  server: { port: 5173, proxy: { '/api': api, '/openapi.json': api, '/docs': api } },
  preview: { proxy: { '/api': api } },
  build: {
    ...shared.build,
    outDir: 'dist',
    // The element and the library live in the same folder and are built after the page.
    emptyOutDir: true,
    modulePreload: { polyfill: false },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.spec.ts'],
    setupFiles: ['src/testing/setup.ts'],
    restoreMocks: true,
    testTimeout: 60_000,
  },
})

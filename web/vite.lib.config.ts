import { defineConfig } from 'vite'
import { shared } from './vite.shared.ts'

/** The Vue package: its dependencies stay outside, so that an application has each once. */
export default defineConfig({
  ...shared,
  publicDir: false,
  build: {
    ...shared.build,
    outDir: 'dist/lib',
    emptyOutDir: true,
    lib: { entry: 'src/initialization/lib.ts', formats: ['es'], fileName: () => 'stepway.js', cssFileName: 'style' },
    rolldownOptions: { external: [/^vue($|\/)/, /^@vueuse\//, /^vue-i18n/, /^reka-ui/, /^@lucide\//, /^openapi-fetch/] },
  },
})

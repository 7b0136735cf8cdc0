import { defineConfig } from 'vite'
import { shared } from './vite.shared.ts'

/** `<stepway-progress>` as one file that needs nothing beside it. */
export default defineConfig({
  ...shared,
  publicDir: false,
  define: { ...shared.define, 'process.env.NODE_ENV': '"production"' },
  build: {
    ...shared.build,
    outDir: 'dist',
    emptyOutDir: false,
    lib: { entry: 'src/initialization/element.ts', formats: ['es'], fileName: () => 'stepway-progress.js' },
    rolldownOptions: { output: { codeSplitting: false } },
  },
})

import { defineConfig } from 'vite'
import { shared } from './vite.shared.ts'

/** `<stepway-progress>`, in files that `dev/bundle-element.mjs` makes one of: all but the log viewer. */
export default defineConfig({
  ...shared,
  publicDir: false,
  define: { ...shared.define, 'process.env.NODE_ENV': '"production"' },
  build: {
    ...shared.build,
    outDir: 'dist/element',
    emptyOutDir: true,
    lib: { entry: 'src/initialization/element.ts', formats: ['es'], fileName: () => 'stepway-progress.js' },
    // Names that last: a page that was opened before an update must not take one function for another.
    rolldownOptions: { output: { minifyInternalExports: false } },
  },
})

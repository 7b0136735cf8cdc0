/**
 * Bundles the built element again, so that it is one file with the log viewer beside it: Vite keeps in a third file what
 * both need, and Rollup puts it into the first.
 */
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rollup } from 'rollup'

const root = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const BUILT = root('dist/element')

const bundle = await rollup({
  input: { 'stepway-progress': `${BUILT}/stepway-progress.js` },
  preserveEntrySignatures: 'allow-extension',
  onwarn({ code, message }) {
    // A circle of the files that are made one; a comment of a library.
    if (code !== 'CIRCULAR_DEPENDENCY' && code !== 'INVALID_ANNOTATION') throw new Error(message)
  },
})
const { output } = await bundle.write({
  dir: root('dist'),
  format: 'es',
  entryFileNames: '[name].js',
  chunkFileNames: 'stepway-progress-[name]-[hash].js',
  minifyInternalExports: false,
})
await bundle.close()
rmSync(BUILT, { recursive: true })
const first = output.find(({ isEntry }) => isEntry)
if (first.imports.length) throw new Error(`The element needs more than one file: ${first.imports}`)

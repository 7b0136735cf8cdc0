/**
 * Bundles what vue-tsc has written to dist/types into one declaration file for each entry of the package, so that
 * no path alias of ours is left in it.
 */
import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'

const root = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const EMITTED = root('dist/types')
const ENTRIES = { 'lib.d.ts': 'dist/lib/stepway.d.ts', 'element.d.ts': 'dist/stepway-progress.d.ts' }

// A declaration file is not emitted again.
copyFileSync(root('src/api/schema.d.ts'), `${EMITTED}/api/schema.d.ts`)

for (const [entry, file] of Object.entries(ENTRIES)) {
  const bundle = await rollup({
    input: `${EMITTED}/initialization/${entry}`,
    external: /\.css$/,
    plugins: [dts({ compilerOptions: { baseUrl: EMITTED, paths: { '@/*': ['./*'] } } })],
    onwarn(warning) {
      throw new Error(warning.message)
    },
  })
  await bundle.write({ file: root(file), format: 'es' })
  await bundle.close()
}
// For compilers that also check imports made for their effect alone.
writeFileSync(root('dist/lib/style.d.ts'), 'export {}\n')
rmSync(EMITTED, { recursive: true })

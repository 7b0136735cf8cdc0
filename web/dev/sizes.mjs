/** Prints what the page loads at first and what the other builds weigh; fails above the limit. */
import { readFileSync, readdirSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const LIMIT_KB = 120
const ELEMENT_LIMIT_KB = 136
const dist = new URL('../dist/', import.meta.url)
const weigh = (path) => gzipSync(readFileSync(new URL(path, dist))).length / 1000

const html = readFileSync(new URL('index.html', dist), 'utf8')
const initial = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map(([, path]) => path)
const rows = initial.map((path) => [path, weigh(path)])
const total = rows.reduce((sum, [, size]) => sum + size, 0)
const list = readdirSync(new URL('assets/', dist)).map((name) => `assets/${name}`)
const lazy = list.filter((path) => !initial.includes(path)).map((path) => [path, weigh(path)])
const elements = readdirSync(dist).filter((name) => /^stepway-progress.*\.js$/.test(name))
const others = [...elements, 'lib/stepway.js', 'lib/style.css'].map((path) => [path, weigh(path)])

const print = (title, lines) => {
  console.log(title)
  for (const [path, size] of lines) console.log(`  ${size.toFixed(1).padStart(7)} kB gzipped  ${path}`)
}
print('initial JavaScript', [...rows, ['in all', total]])
print('loaded when needed', lazy)
print('other builds', others)
if (total > LIMIT_KB) {
  console.error(`The initial JavaScript is ${total.toFixed(1)} kB gzipped; the limit is ${LIMIT_KB} kB.`)
  process.exit(1)
}
const element = weigh('stepway-progress.js')
if (element > ELEMENT_LIMIT_KB) {
  console.error(`The element is ${element.toFixed(1)} kB gzipped; the limit is ${ELEMENT_LIMIT_KB} kB.`)
  process.exit(1)
}
for (const path of [...initial, 'stepway-progress.js']) {
  if (!readFileSync(new URL(path, dist), 'utf8').includes('log-scroller')) continue
  console.error(`${path} holds the log viewer, which is to be loaded when it is opened.`)
  process.exit(1)
}

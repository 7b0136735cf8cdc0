/**
 * Records an initialization's stream, to play it again in a test or in the docs:
 *   npm run --silent record -- http://127.0.0.1:8000/api/projects/ID/initialization/events > src/fixtures/NAME.ndjson
 * Ends when the server ends the stream, or with Ctrl-C.
 */
const [url] = process.argv.slice(2)
if (!url) {
  console.error('usage: record.mjs URL-OF-THE-EVENTS')
  process.exit(2)
}

const response = await fetch(url, { headers: { Accept: 'text/event-stream' } })
if (response.status !== 200) {
  console.error(`${url} answered ${response.status}`)
  process.exit(1)
}

let buffer = ''
let first
for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
  buffer += chunk
  const blocks = buffer.split('\n\n')
  buffer = blocks.pop() ?? ''
  blocks.forEach(write)
}

function write(block) {
  const fields = new Map(block.split('\n').map((line) => line.split(/: ?(.*)/s, 2)))
  if (!fields.has('data')) return
  first ??= Date.now()
  console.log(JSON.stringify({ at: Date.now() - first, type: fields.get('event'), data: JSON.parse(fields.get('data')) }))
}

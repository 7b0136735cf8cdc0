// Watches projects with the npm package `eventsource` and prints each event as a JSON line.
// Commands come as lines on standard input: "watch ID URL" and "forget ID".
import { createInterface } from 'node:readline'
import { EventSource } from 'eventsource'

const TYPES = ['snapshot', 'step', 'project', 'end']
const forgotten = new Set()

function watch(project, url) {
  let last = null
  let source = null
  const open = () => {
    const after = last === null ? '' : `?after=${last}`
    source = new EventSource(`${url}/api/projects/${project}/initialization/events${after}`)
    for (const type of TYPES)
      source.addEventListener(type, (event) => {
        last = Number(event.lastEventId)
        console.log(JSON.stringify({ project, id: last, type }))
      })
  }
  open()
  // As a page does: a source that the server closed is opened again after a while.
  const timer = setInterval(() => {
    if (forgotten.has(project)) {
      source.close()
      clearInterval(timer)
    } else if (source.readyState === EventSource.CLOSED) open()
  }, 500)
}

const commands = createInterface({ input: process.stdin })
commands.on('line', (line) => {
  const [command, project, url] = line.split(' ')
  if (command === 'watch') watch(project, url)
  else forgotten.add(project)
})
// Whoever asked is gone.
commands.on('close', () => process.exit())

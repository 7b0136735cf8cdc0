// Watches projects with the npm package `eventsource` and prints each event as a JSON line.
// Projects to watch come as lines on standard input: "URL ID",
// or "forget ID".
import { createInterface } from 'node:readline'
import { EventSource } from 'eventsource'

const forgotten = new Set()
const TYPES = ['snapshot', 'step', 'project', 'end']

function watch(url, project) {
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

createInterface({ input: process.stdin }).on('line', (line) => {
  const [url, project] = line.split(' ')
  if (url === 'forget') forgotten.add(project)
  else watch(url, project)
})

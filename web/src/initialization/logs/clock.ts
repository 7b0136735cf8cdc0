const two = (number: number) => String(number).padStart(2, '0')
const three = (number: number) => String(number).padStart(3, '0')

/** `14:03:07.042`, in the reader's time zone. */
export function localTime(ms: number): string {
  const date = new Date(ms)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${three(date.getMilliseconds())}`
}

/** `+0:07.042`, `+1:02:07.042`: the time since another one. */
export function relativeTime(ms: number, since: number): string {
  const passed = Math.abs(ms - since)
  const sign = ms < since ? '-' : '+'
  const seconds = Math.floor(passed / 1000)
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor(seconds / 60) % 60
  const clock = hours > 0 ? `${hours}:${two(minutes)}` : String(minutes)
  return `${sign}${clock}:${two(seconds % 60)}.${three(Math.floor(passed % 1000))}`
}

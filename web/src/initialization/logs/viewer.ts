/** One chunk: what shows the last lines is most of what shows all of them. */
export { default as LogTail } from './LogTail.vue'
export { default as LogView } from './LogView.vue'

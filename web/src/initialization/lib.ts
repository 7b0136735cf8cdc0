/** The entry of the Vue package: what `index.ts` exports, with its styles. */
import '@/styles/lib.css'

export * from './index'

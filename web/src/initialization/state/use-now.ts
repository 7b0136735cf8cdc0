import { useIntervalFn } from '@vueuse/core'
import { inject, shallowRef, toValue, watch, type InjectionKey, type MaybeRefOrGetter, type ShallowRef } from 'vue'
import { serverNow } from '@/api/clock'

/** The clock of the whole view, so that only what shows a time is drawn again each second. */
export const NOW: InjectionKey<Readonly<ShallowRef<number>>> = Symbol('stepway now')

export function useNow(): Readonly<ShallowRef<number>> {
  return inject(NOW, () => shallowRef(serverNow()), true)
}

/** The server's time, in milliseconds, ticking each second while something is going on. */
export function useServerNow(ticking: MaybeRefOrGetter<boolean>) {
  const now = shallowRef(serverNow())
  const clock = useIntervalFn(() => (now.value = serverNow()), 1000, { immediate: false })
  watch(
    () => toValue(ticking),
    (on) => {
      now.value = serverNow()
      if (on) clock.resume()
      else clock.pause()
    },
    { immediate: true },
  )
  return now
}

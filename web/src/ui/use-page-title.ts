import { onScopeDispose, toValue, watchEffect, type MaybeRefOrGetter } from 'vue'

/** The document's title while the page is shown. */
export function usePageTitle(title: MaybeRefOrGetter<string | null>): void {
  watchEffect(() => {
    const text = toValue(title)
    document.title = text ? `${text} · Stepway` : 'Stepway'
  })
  onScopeDispose(() => {
    document.title = 'Stepway'
  })
}

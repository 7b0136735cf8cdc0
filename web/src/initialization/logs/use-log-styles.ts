import { onMounted, type Ref } from 'vue'
import css from './logs.css?inline'

let sheet: CSSStyleSheet | null = null

/** Gives the viewer's styles to the document, or to the shadow root that it is in. */
export function useLogStyles(element: Readonly<Ref<Element | null>>): void {
  onMounted(() => {
    const root = element.value?.getRootNode()
    if (!(root instanceof Document || root instanceof ShadowRoot)) return
    if (sheet === null) {
      sheet = new CSSStyleSheet()
      sheet.replaceSync(css)
    }
    if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet]
  })
}

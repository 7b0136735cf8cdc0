import { watch } from 'vue'
import { createText, toDocumentLanguage, toLocale, type Text } from './text'

const KEY = 'stepway.language'

/** Storage may be forbidden: then the choice lasts as long as the page. */
function remembered(): string | null {
  try {
    return localStorage.getItem(KEY)
  } catch {
    return null
  }
}

function remember(locale: string): void {
  try {
    localStorage.setItem(KEY, locale)
    // The server draws the first picture in this language.
    document.cookie = `${KEY}=${locale}; path=/; max-age=31536000; SameSite=Lax`
  } catch (error) {
    console.warn('The language cannot be remembered here', error)
  }
}

/** The page's texts in the language chosen last, else in the browser's; the document says which it is. */
export function startText(): Text {
  const text = createText(toLocale(remembered() ?? navigator.language))
  watch(
    text.locale,
    (locale, before) => {
      document.documentElement.lang = toDocumentLanguage(locale)
      if (before !== undefined) remember(locale)
    },
    { immediate: true },
  )
  return text
}

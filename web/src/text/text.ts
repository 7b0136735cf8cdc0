import { inject, provide, type InjectionKey } from 'vue'
import { createI18n } from 'vue-i18n'
import { en } from './en'
import { zh } from './zh'

export const LOCALES = ['en', 'zh'] as const
export type Locale = (typeof LOCALES)[number]

/** The nearest language we speak: `zh-Hans-CN` is `zh`, what we do not know is `en`. */
export function toLocale(tag: string | null | undefined): Locale {
  return LOCALES.find((locale) => tag?.toLowerCase().split('-')[0] === locale) ?? 'en'
}

/** The language as an HTML document names it. */
export function toDocumentLanguage(locale: Locale): string {
  return locale === 'zh' ? 'zh-Hans' : locale
}

/** Texts in one language, which may change while they are shown. */
export function createText(locale: Locale) {
  return createI18n({
    legacy: false,
    locale,
    fallbackLocale: 'en',
    messages: { en, zh },
    missingWarn: false,
    fallbackWarn: false,
  }).global
}

export type Text = ReturnType<typeof createText>

const TEXT: InjectionKey<Text> = Symbol('stepway text')

export function provideText(text: Text): void {
  provide(TEXT, text)
}

export function useText(): Text {
  return inject(TEXT, () => createText(toLocale(navigator.language)), true)
}

export { TEXT }

/** Whether text can be read: contrast of every visible text of a page by WCAG 2.2, 1.4.3. */
import type { Page } from 'playwright-core';

/** Texts below 4.5 : 1, or below 3 : 1 where they are large. Text on pictures and gradients is left out. */
export function poorContrasts(page: Page): Promise<string[]> {
  return page.evaluate(`(${measure.toString()})()`);
}

/* This function runs in the browser, so it can use nothing from outside. */
function measure(): string[] {
  type Box = { tagName: string; parentElement: Box | null; textContent: string };
  const page = globalThis as unknown as {
    document: {
      body: unknown;
      createElement(name: 'canvas'): {
        getContext(
          kind: '2d',
          options: object,
        ): {
          fillStyle: string;
          clearRect(...box: number[]): void;
          fillRect(...box: number[]): void;
          getImageData(...box: number[]): { data: number[] };
        };
      };
      createTreeWalker(
        root: unknown,
        show: number,
      ): { nextNode(): { textContent: string; parentElement: Box } | null };
    };
    getComputedStyle(box: Box): Record<string, string>;
  };
  const pen = page.document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color: string): number[] => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].map(part => part / 255);
  };
  const light = (color: number[]) => {
    const [r = 0, g = 0, b = 0] = color.map(part =>
      part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgroundOf = (box: Box | null): number[] | undefined => {
    for (let at = box; at !== null; at = at.parentElement) {
      const style = page.getComputedStyle(at);
      if (style.backgroundImage !== 'none') return undefined;
      const color = rgba(style.backgroundColor ?? '');
      if ((color[3] ?? 0) > 0.9) return color;
    }
    return [1, 1, 1, 1];
  };
  const poor: string[] = [];
  const walker = page.document.createTreeWalker(page.document.body, 4);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const box = node.parentElement;
    const text = node.textContent.trim();
    const style = page.getComputedStyle(box);
    const isSeen = (box as unknown as { checkVisibility(): boolean }).checkVisibility();
    if (text === '' || !isSeen || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(box.tagName)) continue;
    const background = backgroundOf(box);
    if (background === undefined) continue;
    const [one, two] = [light(rgba(style.color ?? '')), light(background)].sort((a, b) => b - a);
    const ratio = ((one ?? 0) + 0.05) / ((two ?? 0) + 0.05);
    const px = Number.parseFloat(style.fontSize ?? '0');
    const isLarge = px >= 24 || (px >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) poor.push(`${ratio.toFixed(2)} "${text.slice(0, 40)}" ${box.tagName}`);
  }
  return poor;
}

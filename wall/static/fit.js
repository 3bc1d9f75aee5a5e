// Text fits its box whatever the font. It is set smaller in steps down to the style's --least (rem); what is still too long may break where
// the style lets it (.long); only then it is cut with an ellipsis (.cut), and the whole of it is its title.
const STEP = 0.97, SLACK = 0.5, BREAKS = ".name, .word, .line";
const fitted = new WeakMap();
export let fonts = 0; // how often letters changed their shape

export function fontsChanged() {
  fonts += 1;
}

// All of it runs before the next paint: nobody sees the steps.
export function fit(element) {
  const key = [element.textContent, element.parentElement.clientWidth, innerWidth, innerHeight, fonts].join("|");
  if (fitted.get(element) === key) return;
  element.classList.remove("long", "cut");
  let fits = shrink(element);
  if (!fits && element.matches(BREAKS)) {
    element.classList.add("long");
    fits = shrink(element);
  }
  element.classList.toggle("cut", !fits);
  if (fits) element.removeAttribute("title");
  else element.title = element.textContent;
  fitted.set(element, key);
}

function shrink(element) {
  element.style.fontSize = "";
  const style = getComputedStyle(element);
  let size = parseFloat(style.fontSize);
  const least = parseFloat(style.getPropertyValue("--least")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  while (overflows(element)) {
    if (size <= least) return false;
    size = Math.max(least, size * STEP);
    element.style.fontSize = size + "px";
  }
  return true;
}

// The letters are measured, not scrollWidth, which is rounded to whole pixels.
function overflows(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const text = range.getBoundingClientRect(), box = element.getBoundingClientRect();
  const right = box.right - parseFloat(getComputedStyle(element).paddingRight);
  return text.right > right + SLACK || (element.classList.contains("long") && element.scrollHeight > element.clientHeight * 1.2);
}

// Shows the cards that have all of the words that are typed, and their names at the side.
const field = document.querySelector("input");
const cards = [...document.querySelectorAll("article")].map(card => ({
  card, text: card.textContent.toLowerCase(), link: document.querySelector(`nav a[href="#${card.id}"]`),
}));
function show() {
  const words = field.value.toLowerCase().split(/\s+/);
  for (const { card, text, link } of cards) card.hidden = link.hidden = !words.every(word => text.includes(word));
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector("article:not([hidden]), section > a:not([hidden])");
  }
}
field.addEventListener("input", show);

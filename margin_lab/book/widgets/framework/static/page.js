// The book: every widget of the page brings its state along as JSON. A widget that fails keeps its picture.

function startPage() {
  for (const root of document.querySelectorAll("[data-widget]")) {
    const script = root.querySelector(':scope > script[type="application/json"]');
    if (!script) continue;
    try {
      const state = JSON.parse(script.textContent);
      mountWidget(root, state, pageSource(state));
    } catch (problem) {
      root.dataset.state = "error";
      reportError(problem); // to the console; the page's other widgets go on
    }
  }
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", startPage);
else startPage();

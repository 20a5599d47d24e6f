// Runs before the first paint, so that a chosen theme does not flash. A classic script on purpose: modules run later.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("burstwatch-theme"); } catch { /* storage may be forbidden; then it is auto */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();

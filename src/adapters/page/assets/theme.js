// Light or dark, before anything is drawn: the system's choice, unless the reader has made one.
(() => {
  const KEY = "gpad-theme";
  const CHOICES = [["system", "System"], ["light", "Light"], ["dark", "Dark"]];
  const read = () => {
    try {
      return localStorage.getItem(KEY) ?? "system";
    } catch {
      // Storage may be forbidden; the system's choice holds then.
      return "system";
    }
  };
  const set = (choice) => {
    if (choice === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
  };
  set(read());
  addEventListener("DOMContentLoaded", () => {
    const place = document.getElementById("theme");
    if (!place) return;
    const label = document.createElement("label");
    label.textContent = "Theme ";
    const select = document.createElement("select");
    for (const [value, text] of CHOICES) {
      const option = new Option(text, value, false, value === read());
      select.append(option);
    }
    select.addEventListener("change", () => {
      try {
        localStorage.setItem(KEY, select.value);
      } catch {
        // It holds for this page, then.
      }
      set(select.value);
      dispatchEvent(new Event("theme"));
    });
    label.append(select);
    place.append(label);
  });
})();

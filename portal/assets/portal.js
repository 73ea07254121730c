// Niceties only: every page works without this file.
"use strict";

// Show and hide a password.
for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const show = input.type === "password";
    input.type = show ? "text" : "password";
    button.setAttribute("aria-pressed", String(show));
    input.focus();
  });
  // A revealed password would be offered as a text to complete next time.
  input.form.addEventListener("submit", () => { input.type = "password"; });
}

// Say when Caps Lock is on.
for (const hint of document.querySelectorAll("[data-caps]")) {
  const input = hint.closest(".field").querySelector("input");
  const look = (event) => {
    const on = event.getModifierState && event.getModifierState("CapsLock");
    hint.textContent = on ? hint.dataset.caps : "";
  };
  input.addEventListener("keydown", look);
  input.addEventListener("keyup", look);
  input.addEventListener("blur", () => { hint.textContent = ""; });
}

// Send a form once. The page may come back from the browser's memory: undo it then.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
    for (const button of form.querySelectorAll("[type=submit]")) {
      // What a disabled button says is not sent.
      if (button !== event.submitter || !button.name) button.disabled = true;
    }
  });
  window.addEventListener("pageshow", () => {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
    for (const button of form.querySelectorAll("[type=submit]")) button.disabled = false;
  });
}

// Close the language menu by Escape or by a click elsewhere.
for (const menu of document.querySelectorAll("details.languages")) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
}

// Print a page of codes.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// Copy a text.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.replace(/ /g, ""));
    button.textContent = button.dataset.copied;
  });
}

// Times as the browser's owner writes them, where he is.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (isNaN(at)) continue;
  const style = (options) => new Intl.DateTimeFormat(document.documentElement.lang, options).format(at);
  time.title = time.textContent;
  time.textContent = style("day" in time.dataset ? { dateStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" });
}

// Say how good a new password is while it is typed. The server judges, and does so again
// when the form is sent.
for (const bar of document.querySelectorAll("[data-strength]")) {
  const field = bar.closest(".field");
  const input = field.querySelector("input");
  const text = field.querySelector("[role=status]");
  let timer, asked = 0;
  const show = (answer) => {
    bar.hidden = !answer;
    bar.dataset.score = answer ? answer.score : "";
    bar.dataset.fit = answer ? answer.fit : "";
    text.textContent = answer ? answer.say : "";
  };
  const ask = async () => {
    const turn = ++asked;
    const body = new URLSearchParams({ new: input.value });
    for (const name of ["csrf", "slip"]) {
      const other = input.form.elements[name];
      if (other) body.set(name, other.value);
    }
    try {
      const response = await fetch(bar.dataset.strength, { method: "POST", body, cache: "no-store" });
      const answer = response.ok ? await response.json() : null;
      if (turn === asked) show(answer);
    } catch { if (turn === asked) show(null); }
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    asked++;
    if (input.value) timer = setTimeout(ask, 250); else show(null);
  });
}

// Passkeys and security keys. Each form with data-webauthn runs one ceremony and sends
// what the browser says.
"use strict";

(() => {
  const bytes = (text) => {
    const s = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(s, (c) => c.charCodeAt(0));
  };
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // What the server sends, as navigator.credentials wants it (WebAuthn 5.1.9).
  const read = (options) => {
    const o = options.publicKey;
    o.challenge = bytes(o.challenge);
    if (o.user) o.user.id = bytes(o.user.id);
    for (const list of [o.allowCredentials, o.excludeCredentials]) {
      for (const c of list || []) c.id = bytes(c.id);
    }
    return o;
  };

  // A credential as the server wants it (WebAuthn 5.1.8, toJSON).
  const write = (c) => {
    const r = c.response, out = { id: c.id, rawId: text(c.rawId), type: c.type, clientExtensionResults: c.getClientExtensionResults(), response: { clientDataJSON: text(r.clientDataJSON) } };
    if (c.authenticatorAttachment) out.authenticatorAttachment = c.authenticatorAttachment;
    if (r.attestationObject) {
      out.response.attestationObject = text(r.attestationObject);
      out.response.transports = r.getTransports ? r.getTransports() : [];
    } else {
      out.response.authenticatorData = text(r.authenticatorData);
      out.response.signature = text(r.signature);
      if (r.userHandle) out.response.userHandle = text(r.userHandle);
    }
    return JSON.stringify(out);
  };

  for (const form of document.querySelectorAll("form[data-webauthn]")) {
    const say = form.querySelector("[data-say]"), start = form.querySelector("[data-start]");
    const creating = form.dataset.webauthn === "create";
    const tell = (word) => { say.textContent = word ? say.dataset[word] : ""; say.hidden = !word; };
    let waiting = null; // the conditional ceremony, which a click on the button replaces

    const run = async (conditional) => {
      const began = Date.now();
      const options = read(JSON.parse(form.dataset.options));
      if (waiting) waiting.abort("replaced");
      const control = waiting = new AbortController();
      const request = { publicKey: options, signal: control.signal };
      if (conditional) request.mediation = "conditional";
      try {
        const c = creating ? await navigator.credentials.create(request) : await navigator.credentials.get(request);
        form.elements.response.value = write(c);
        const tick = document.querySelector("input[type=checkbox][name=remember]");
        if (form.elements.remember) form.elements.remember.value = tick && tick.checked ? "yes" : "";
        start.disabled = true;
        form.submit();
      } catch (e) {
        if (control.signal.aborted || conditional) return;
        switch (e.name) {
          case "NotAllowedError": tell(options.timeout && Date.now() - began >= options.timeout - 1000 ? "timeout" : "cancelled"); break;
          case "TimeoutError": tell("timeout"); break;
          case "SecurityError": tell("site"); break;
          case "InvalidStateError": tell("exists"); break;
          case "NotSupportedError": case "ConstraintError": tell("unsupported"); break;
          default: tell("failed");
        }
        offer();
      }
    };

    // The browser's own list in the user name field, where it has one.
    const offer = async () => {
      if (!("conditional" in form.dataset) || !PublicKeyCredential.isConditionalMediationAvailable) return;
      if (await PublicKeyCredential.isConditionalMediationAvailable()) run(true);
    };

    if (!window.PublicKeyCredential || !navigator.credentials) {
      if (!("conditional" in form.dataset)) tell("unsupported");
      continue;
    }
    form.hidden = false;
    start.hidden = false;
    start.addEventListener("click", () => { tell(""); run(false); });
    form.addEventListener("submit", (event) => {
      if (!form.elements.response.value) { event.preventDefault(); run(false); }
    });
    // The page may come back from the browser's memory.
    window.addEventListener("pageshow", () => { start.disabled = false; form.elements.response.value = ""; });
    offer();
  }
})();

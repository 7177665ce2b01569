// What the tests ask of a page; given to it by visits.py.
window.look = {
  // Texts that no reader should see: what MathJax has not turned into a formula.
  rawTex() {
    const raw = /\\[a-zA-Z(\[]|\$[^\s$][^$]*\$/;
    const texts = [document.title];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { data, parentElement } = walker.currentNode;
      const code = "code, pre, script, style, textarea, mjx-container";
      if (!parentElement.closest(code)) texts.push(data.trim());
    }
    const failed = [...document.querySelectorAll("mjx-merror")].map((e) => e.textContent);
    return texts.filter((text) => raw.test(text)).concat(failed);
  },

  overflows() {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth;
  },

  height: () => document.documentElement.scrollHeight,

  // Seconds until the largest contentful paint.
  paint: () =>
    new Promise((done) =>
      new PerformanceObserver((list) => done(list.getEntries().at(-1).startTime / 1000)).observe({
        type: "largest-contentful-paint",
        buffered: true,
      }),
    ),

  // Contrast is slow to judge, and a page has few kinds of text: one element stands for each set
  // of colour, size and weight over the same backgrounds, one of two letters or more where there is
  // one, since axe-core cannot tell of less. What MathJax adds for screen readers is not seen, and
  // stands for nothing.
  kindsOfText() {
    const [kinds, layers] = [new Map(), new Map([[null, ""]])];
    const over = (element) => {
      if (!layers.has(element)) {
        const { backgroundColor, backgroundImage, opacity } = getComputedStyle(element);
        const layer = [backgroundColor, backgroundImage, opacity].join();
        const below = over(element.parentElement);
        layers.set(element, layer === "rgba(0, 0, 0, 0),none,1" ? below : `${layer};${below}`);
      }
      return layers.get(element);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const seen = new Set();
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (seen.has(element) || !walker.currentNode.data.trim()) continue;
      seen.add(element);
      if (element.closest("mjx-assistive-mml") || !element.checkVisibility()) continue;
      const own = getComputedStyle(element);
      const kind = [own.color, own.fontSize, own.fontWeight, own.textShadow, over(element)].join(";");
      if (!(kinds.get(kind)?.textContent.trim().length > 1)) kinds.set(kind, element);
    }
    return kinds;
  },

  // axe-core's time grows with the elements of a page, and most of them are strokes of formulas and
  // colours of code, about which it has no rule: no element that goes has a name, a role, a link or
  // a place of its own, or is marked for its contrast, and sizes and texts stay.
  lighten() {
    const own =
      /^(aria-.*|role|tabindex|id|href|src|alt|title|lang|on.*|contenteditable|data-(light|dark))$/;
    const mere = (root) =>
      [...root.querySelectorAll("*")].every(
        (e) =>
          (e.localName.startsWith("mjx-") || e.namespaceURI.endsWith("MathML")) &&
          !e.getAttributeNames().some((name) => own.test(name)),
      );
    const drawn = [...document.querySelectorAll("mjx-math")]
      .filter((e) => !e.textContent.trim() && mere(e))
      .map((element) => ({ element, box: element.getBoundingClientRect() }));
    for (const { element, box } of drawn) {
      element.style.cssText += `;display:inline-block;width:${box.width}px;height:${box.height}px`;
      element.replaceChildren();
    }
    for (const math of document.querySelectorAll("mjx-assistive-mml > math"))
      if (mere(math)) math.replaceChildren(math.textContent);
    const plain = (e) => !e.childElementCount && e.getAttributeNames().join() === "class";
    const code = [...document.querySelectorAll("pre, code, dt.sig")];
    for (const span of code.flatMap((e) => [...e.querySelectorAll("span")]).reverse())
      if (plain(span)) span.replaceWith(...span.childNodes);
    for (const element of code) element.normalize();
  },

  // What axe-core finds against its rules, and what it cannot tell.
  async found(where, which) {
    const { violations, incomplete } = await axe.run(where, {
      preload: false,
      resultTypes: ["violations", "incomplete"],
      ...which,
    });
    return [violations, incomplete];
  },

  // What it calls serious or critical.
  grave: (violations) =>
    violations
      .filter(({ impact }) => ["serious", "critical"].includes(impact))
      .flatMap(({ id, nodes }) =>
        nodes.map((n) => `${id}: ${n.html.slice(0, 120)}: ${n.failureSummary.slice(0, 300)}`),
      ),

  // Remember what stands for the kinds of text under this scheme, but for those that are known;
  // return how many.
  mark(scheme, known) {
    look.marked = [...look.kindsOfText()].filter(([kind]) => !known.includes(kind));
    for (const [, element] of look.marked) element.dataset[scheme] = "";
    return look.marked.length;
  },

  // All rules at once, but for those whose findings `grave` would drop: what is found of contrast,
  // judged for what is marked as light alone, and what is found of all else. A link in a text passes by
  // its style or, slow to judge, by its colour: looked at where the style does not do.
  async everything() {
    const mild = axe._audit.rules.filter(({ impact }) => ["minor", "moderate"].includes(impact));
    const rules = Object.fromEntries(mild.map(({ id }) => [id, { enabled: false }]));
    const [link, contrast] = ["link-in-text-block", "color-contrast"];
    axe.configure({
      rules: [
        { id: link, any: ["link-in-text-block-style"] },
        { id: contrast, selector: "[data-light]" },
      ],
    });
    let [found, unclear] = await look.found(document, { rules, elementRef: true });
    axe.reset();
    const plain = [...found, ...unclear].filter(({ id }) => id === link).flatMap((r) => r.nodes);
    if (plain.length) {
      const [links] = await look.found(plain.map((n) => n.element), { runOnly: [link] });
      found = [...found.filter(({ id }) => id !== link), ...links];
    }
    return {
      contrast: look.grave(found.filter(({ id }) => id === contrast)),
      structure: look.grave(found.filter(({ id }) => id !== contrast)),
    };
  },

  // The contrast of what is marked as dark: what is found, and the kinds that are good.
  async contrast() {
    axe.configure({ rules: [{ id: "color-contrast", selector: "[data-dark]" }] });
    const which = { runOnly: ["color-contrast"], elementRef: true };
    const [faint, unclear] = await look.found(document, which);
    axe.reset();
    const open = new Set([...faint, ...unclear].flatMap((r) => r.nodes).map((n) => n.element));
    const good = look.marked.filter(([, element]) => !open.has(element)).map(([kind]) => kind);
    return { faint: look.grave(faint), good };
  },
};

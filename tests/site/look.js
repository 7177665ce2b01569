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
  // of colour, size and weight over the same backgrounds.
  kindsOfText() {
    const kinds = new Map();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
      const own = getComputedStyle(element);
      const kind = [own.color, own.fontSize, own.fontWeight, own.textShadow];
      for (let e = element; e; e = e.parentElement) {
        const { backgroundColor, backgroundImage, opacity } = getComputedStyle(e);
        const layer = [backgroundColor, backgroundImage, opacity].join();
        if (layer !== "rgba(0, 0, 0, 0),none,1") kind.push(layer);
      }
      if (!kinds.has(kind.join(";"))) kinds.set(kind.join(";"), element);
    }
    return [...kinds.values()];
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

  // All rules at once, but for those whose findings `grave` would drop: what is found of contrast,
  // judged for the kinds of text alone, and what is found of all else. A link in a text passes by
  // its style or, slow to judge, by its colour: looked at where the style does not do.
  async everything() {
    const mild = axe._audit.rules.filter(({ impact }) => ["minor", "moderate"].includes(impact));
    const rules = Object.fromEntries(mild.map(({ id }) => [id, { enabled: false }]));
    const [link, contrast] = ["link-in-text-block", "color-contrast"];
    const kinds = look.kindsOfText();
    for (const element of kinds) element.dataset.kind = "";
    const restricted = [
      { id: link, any: ["link-in-text-block-style"] },
      { id: contrast, selector: "[data-kind], [data-kind] *" },
    ];
    axe.configure({ rules: restricted });
    let [found, unclear] = await look.found(document, { rules, elementRef: true });
    axe.reset();
    for (const element of kinds) delete element.dataset.kind;
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

  async contrast() {
    const [faint] = await look.found(look.kindsOfText(), { runOnly: ["color-contrast"] });
    return look.grave(faint);
  },
};

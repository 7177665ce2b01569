// A page that is read from disk may not read the others: search shows titles, without extracts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What was folded away had no width when the theme looked for frames that scroll: it looks again.
document.addEventListener("toggle", () => dispatchEvent(new Event("resize")), true);

"""Walks the portal in Chromium as a person with a keyboard does, and checks every page against WCAG with axe-core.

    walk_portal.py LINK OTHER_LINK PROVIDER FOLDER [SCREENSHOT.png]

The first link is walked with scripts allowed, which axe needs; the second with scripts off, which the portal must stand. Then
somebody signs in at the provider. What is downloaded goes into the folder. Ends with 1 and says what is wrong, or prints a line of
JSON with what was checked.
"""

import json
import os
import shutil
import sys
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# No sandbox inside a container, and none of what Chromium would look up on its own.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


def check(truth, what):
    if not truth:
        sys.exit(f"the portal: {what}")


class Walk:
    def __init__(self, page, host, folder):
        self.page, self.host, self.folder, self.rules, self.pages = page, host, folder, 0, 0
        self.elsewhere = []
        page.on("request", lambda request: self.note(request.url))

    def note(self, url):
        if urlsplit(url).netloc != self.host:
            self.elsewhere.append(url)

    def examine(self):
        results = Axe().run(self.page, options={"runOnly": {"type": "tag", "values": TAGS}}).response
        faults = [f"{fault['id']}: {fault['help']}" for fault in results["violations"]]
        check(not faults, f"{self.page.title()}: {faults}")
        self.rules += len(results["passes"])
        self.pages += 1

    def tab_to(self, name):
        """Moves the focus forward to what has this name, as a person does who has no pointer."""
        for _ in range(60):
            self.page.keyboard.press("Tab")
            focused = self.page.evaluate("document.activeElement.innerText")
            if focused and focused.strip() == name:
                outline = self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                check(outline != "none", f"nobody sees that {name!r} has the focus")
                return
        check(False, f"no Tab leads to {name!r}")

    def press(self, name):
        self.tab_to(name)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def download(self, name):
        self.tab_to(name)
        with self.page.expect_download() as started:
            self.page.keyboard.press("Enter")
        started.value.save_as(os.path.join(self.folder, started.value.suggested_filename))

    def wait_for(self, title):
        """Looks again until the page has this title, as a person does: no page reloads by itself."""
        for _ in range(20):
            if self.page.title().startswith(title):
                return
            self.examine()
            self.press("Look again")
        check(False, f"it ends with {self.page.title()!r} instead of {title!r}")

    def says(self, words):
        said = self.page.inner_text("[role=status]")
        check(words in said, f"it says {said!r} instead of {words!r}")


def main(link, other, provider, folder, screenshot=None):
    host = urlsplit(link).netloc
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        context = browser.new_context(bypass_csp=True, viewport={"width": 900, "height": 1400})
        walk = Walk(context.new_page(), host, folder)
        page = walk.page
        page.goto(link)
        walk.examine()
        walk.press("Continue")
        check(urlsplit(page.url).path == "/" and not urlsplit(page.url).query, f"it leads to {page.url}")
        walk.examine()
        walk.press("Allow reliability")
        walk.says("Reliability: allowed from now on.")
        walk.examine()
        walk.tab_to("What is collected for reliability")
        page.keyboard.press("Enter")
        check(page.locator("details[open]").count() == 1, "Enter does not open what is collected")
        walk.examine()
        if screenshot:
            page.evaluate("document.querySelectorAll('details').forEach(details => details.open = false)")
            page.screenshot(path=screenshot, full_page=True)
        page.emulate_media(color_scheme="dark")
        walk.examine()
        walk.press("Stop all purposes")
        walk.says("All purposes: stopped.")
        walk.press("Get a copy of my data")
        walk.wait_for("Your copy is ready")
        walk.examine()
        walk.download("Download the copy")
        walk.press("Your data")
        walk.press("Erase everything about me")
        walk.examine()
        walk.press("Keep everything and go back")
        walk.press("Erase everything about me")
        walk.press("Erase everything, for good")
        walk.wait_for("Everything about you is erased")
        walk.examine()
        walk.download("Download the receipt")
        walk.press("Your data")
        walk.press("Leave this page")
        check("ended" in page.title(), f"{page.title()} after leaving")
        walk.examine()
        page.goto(link)
        check("does not open" in page.title(), "a link opens a second visit")
        walk.examine()
        check(not walk.elsewhere, f"it asked elsewhere: {walk.elsewhere}")

        page.goto(f"{urlsplit(link).scheme}://{host}/")
        walk.press("Sign in")
        check(page.title().startswith("You are signed in"), f"{page.title()} after signing in")
        walk.examine()
        walk.press("Continue")
        walk.press("Allow personalization")
        walk.says("Personalization: allowed from now on.")
        page.goto(f"{urlsplit(link).scheme}://{host}/signed-in?code=a&state=b")
        walk.examine()
        check(page.title().startswith("You are not signed in"), "a sign-in opens a second visit")
        check(all(url.startswith(f"{provider}/authorize?") for url in walk.elsewhere), f"it asked elsewhere: {walk.elsewhere}")

        plain = browser.new_context(java_script_enabled=False).new_page()
        plain.goto(other)
        plain.get_by_role("button", name="Continue").click()
        plain.get_by_role("button", name="Allow troubleshooting").click()
        said = plain.inner_text("[role=status]")
        check("Troubleshooting: allowed" in said, f"without scripts it says {said!r}")
        plain.get_by_role("button", name="Get a copy of my data").click()
        check(plain.title().startswith("Your copy is"), f"without scripts a copy leads to {plain.title()!r}")
        browser.close()
    print(json.dumps({"pages": walk.pages, "rules_passed": walk.rules}))


main(*sys.argv[1:])

"""Takes the pictures of the documentation: the page of real projects, from start to end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser, Page, async_playwright, expect

from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from tests.e2e.screen import see_project, see_step, step
from tests.support.chromium import ARGUMENTS, CHROMIUM
from tests.support.servers import Stepway, running_stepway

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1120, "height": 880}
SCALE = 1.5

BLUEPRINT = """\
name: shop
title: {en: Online shop, zh: 网上商店}
parameters:
  type: object
  properties:
    credential: {type: string, default: local}
steps:
  - step: resolve_credentials
    display_name: {en: Resolve credentials, zh: 解析凭证}
    uses: resolve_credentials
    with: {credential: "${{ parameters.credential }}"}
  - step: create_repository
    display_name: {en: Create repository, zh: 创建仓库}
    uses: create_repository
    needs: [resolve_credentials]
    undo: {uses: delete_repository}
    weight: 2
  - step: push_template
    display_name: {en: Push template, zh: 推送模板}
    uses: push_template
    with: {template: web-service}
    needs: [create_repository]
    weight: 3
  - step: build_image
    display_name: {en: Build image, zh: 构建镜像}
    uses: run_command
    with:
      command:
        - /bin/sh
        - -c
        - |
          printf '::group::Fetch the base image\\n'
          printf 'alpine 3.22: \\033[32mup to date\\033[0m\\n::endgroup::\\n'
          for n in 1 2 3 4 5; do echo "layer $n of 9"; sleep 1; done
          printf '\\033[33m2 layers\\033[0m are larger than 100 MB\\n'
          echo 'cache: 4 layers are new' >&2
    needs: [push_template]
    weight: 4
  - step: run_tests
    display_name: {en: Run tests, zh: 运行测试}
    uses: run_command
    with:
      command: [/bin/sh, -c, 'for n in 31 58 84; do echo "$n of 112 tests passed"; sleep 1.6; done']
    needs: [push_template]
    weight: 4
  - step: create_environments
    display_name: {en: Create environments, zh: 创建环境}
    uses: create_environments
    with: {environments: [{name: staging, approvals: 0}, {name: production, approvals: 2}]}
    needs: [resolve_credentials]
  - step: deploy
    display_name: {en: Deploy to staging, zh: 部署到预发布环境}
    uses: run_command
    with: {command: [/bin/echo, deployed]}
    needs: [build_image, run_tests, create_environments]
    optional: true
    weight: 2
"""


async def take_all(target: Path) -> None:
    """Start servers and take all pictures."""
    with TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "shop.yaml").write_text(BLUEPRINT)
        async with (
            EmbeddedServers(Settings(data_dir=folder / "servers")) as servers,
            async_playwright() as playwright,
        ):
            await upgrade_database(servers.sqlalchemy_url)
            async with running_stepway(servers, folder) as stepway:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                await _take_in_english(browser, stepway, target)
                await _take_in_chinese(browser, stepway, target)
                await browser.close()


async def _take_in_english(browser: Browser, stepway: Stepway, target: Path) -> None:
    page = await _open(browser, stepway, "en-GB")
    await _take_running(page, await _create(stepway, "payments"), target / "running.png")
    await _take_log(page, target / "log.png")
    ready = await _create(stepway, "shop", "web-service")
    await page.goto(f"/projects/{ready}")
    await see_project(page, "active")
    await _take(page, target / "ready.png")
    failed = await _create(stepway, "orders", "web-service", credential="github")
    await page.goto(f"/projects/{failed}")
    await see_project(page, "failed")
    await _take(page, target / "failed.png")
    await page.goto("/")
    await expect(page.get_by_text("orders").first).to_be_visible()
    await _take(page, target / "list.png")


async def _take_in_chinese(browser: Browser, stepway: Stepway, target: Path) -> None:
    page = await _open(browser, stepway, "zh-CN")
    await _take_running(page, await _create(stepway, "invoices"), target / "running.zh.png")


async def _open(browser: Browser, stepway: Stepway, locale: str) -> Page:
    context = await browser.new_context(
        base_url=str(stepway.http.base_url),
        locale=locale,
        viewport=SIZE,  # type: ignore[arg-type]
        device_scale_factor=SCALE,
        reduced_motion="reduce",
        color_scheme="light",
    )
    return await context.new_page()


async def _create(
    stepway: Stepway, name: str, blueprint: str = "shop", **parameters: object
) -> str:
    body = {"name": name, "blueprint": blueprint, "parameters": parameters}
    answer = await stepway.http.post("/api/projects", json=body)
    answer.raise_for_status()
    return str(answer.json()["project"]["id"])


async def _take_running(page: Page, project: str, file: Path) -> None:
    """Take the project while two steps run in parallel."""
    await page.goto(f"/projects/{project}")
    await see_step(page, "build_image", "running")
    await see_step(page, "run_tests", "running")
    await expect(step(page, "build_image")).to_contain_text("layer 3 of 9")
    await expect(step(page, "run_tests")).to_contain_text("tests passed")
    await _take(page, file)


async def _take_log(page: Page, file: Path) -> None:
    """Take the log of a step of the project that is shown."""
    row = step(page, "build_image")
    await see_step(page, "build_image", "completed")
    await row.get_by_role("button").first.click()
    await row.get_by_role("button", name="Show log").click()
    await expect(row).to_contain_text("End of the log: Completed")
    await page.get_by_label("Time stamps").select_option("relative")
    await page.set_viewport_size({**SIZE, "height": 560})  # type: ignore[typeddict-item]
    await row.locator(".log-frame").screenshot(path=file)
    await page.set_viewport_size(SIZE)  # type: ignore[arg-type]
    print(file, flush=True)


async def _take(page: Page, file: Path) -> None:
    await page.evaluate("scrollTo(0, 0)")
    await page.screenshot(path=file)
    print(file, flush=True)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take_all(folder))

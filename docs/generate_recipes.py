"""Writes docs/recipes.md from the schema of recipes. Run by `make docs`."""

from pathlib import Path

from tfft.config.loading.reference import reference_page

TARGET = Path(__file__).with_name("recipes.md")


def main() -> None:
    """Writes the page."""
    TARGET.write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Whether text can be read on a colour: the contrast of WCAG 2.1."""

Colour = tuple[float, float, float]
"""Red, green and blue of sRGB, each 0..255."""


def over(colour: Colour, opacity: float, ground: Colour) -> Colour:
    """Returns how a colour with an opacity of 0..1 looks over an opaque ground."""
    red, green, blue = (
        opacity * value + (1 - opacity) * below for value, below in zip(colour, ground, strict=True)
    )
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """Returns the contrast ratio of two colours, 1..21; text should have 4.5 (level AA).

    Source: W3C 2018, Web Content Accessibility Guidelines 2.1, "contrast ratio" and "relative
        luminance".
    """
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4
        for share in (value / 255 for value in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

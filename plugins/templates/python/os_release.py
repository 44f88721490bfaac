"""/etc/os-release (os-release(5))."""


def field(text, name):
    """The value of a field, without its quotes; None if there is none."""
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and key == name:
            return value.strip("\"'")
    return None

"""Uses each of its packages."""

import blinker
import built
import click
import idna
import jinja2
import markupsafe


@click.command()
@click.option("--name", default="<pylayer>")
def main(name: str) -> None:
    """Prints one line."""
    text = jinja2.Template("hello {{ name | e }}").render(name=name)
    speedups = markupsafe._escape_inner.__module__ == "markupsafe._speedups"
    click.echo(f"{text} {speedups} {idna.encode('é.fr').decode()} {blinker.Signal().receivers} {built.NAME}")


if __name__ == "__main__":
    main()

"""Ways to the faults of the installation."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, text

from storage.engine import open_engine, writing
from tools.provocations import provokes
from tools.provocations.scene import PRICE, UTILITY, Scene
from vending import Shop
from vending.shop.tables import meters


@provokes("database_url")
def _(_: Scene) -> None:
    Shop.open("mysql://host/shop")


@provokes("database_missing")
def _(scene: Scene) -> None:
    Shop.open(f"sqlite:///{scene.folder}/another.db")


@provokes("database_exists")
def _(scene: Scene) -> None:
    Shop.create(scene.url, UTILITY, PRICE)


@provokes("database_version")
def _(scene: Scene) -> None:
    engine = open_engine(scene.url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    engine.dispose()
    Shop.open(scene.url)


@provokes("database_unavailable")
def _(scene: Scene) -> None:
    Path(scene.folder, "notes.txt").write_text("no database\n" * 100, encoding="utf-8")
    Shop.open(f"sqlite:///{scene.folder}/notes.txt")


@provokes("database_invariant")
def _(scene: Scene) -> None:
    house = scene.shop._house
    with house.writing() as connection:
        connection.execute(text("DELETE FROM utility"))


@provokes("database_value")
def _(scene: Scene) -> None:
    house = scene.shop._house
    with house.reading() as connection:
        connection.execute(select(meters).where(meters.c.number == "\ud800"))


@provokes("no_price")
def _(scene: Scene) -> None:
    scene.meter(base_year=2014)
    scene.now = scene.now.replace(year=2020)
    scene.sell()

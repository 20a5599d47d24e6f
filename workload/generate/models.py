"""Models by name or file, and several of them as one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from collector.schema.errors import OperatorError
from workload.model.file import BadModel, load_model
from workload.model.model import Model

_SUFFIXES = (".toml", ".json")


def built_in_models() -> tuple[str, ...]:
    """Return the names of the models that come with this package."""
    folder = resources.files("workload") / "models"
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def find_model(name: str) -> Model:
    """Return the model of that name, or in the file ``name``.

    Raises ``OperatorError`` if there is none or it cannot be used; the message names every problem of the file.
    """
    try:
        if name in built_in_models():
            text = (resources.files("workload") / "models" / f"{name}.toml").read_text(encoding="utf-8")
        elif Path(name).exists() or name.endswith(_SUFFIXES):
            text = Path(name).read_text(encoding="utf-8")
        else:
            known = ", ".join(built_in_models()) or "none"
            raise OperatorError(f"--model {name}: no such file, and no model of that name (there are: {known})")
        return load_model(text)
    except OSError as error:
        raise OperatorError(f"cannot read --model {name}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise OperatorError(f"--model {name} is not text in UTF-8") from None
    except BadModel as error:
        raise OperatorError(f"--model {name}: {error}") from None


def together(models: Sequence[Model]) -> Model:
    """Return one model with the classes of all, named "model/class" if there are several models.

    Shares are those that the classes' rates give them. Raises ``OperatorError`` for two models of one name.
    """
    if len(models) == 1:
        return models[0]
    names = [model.name for model in models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise OperatorError(f"--model: two models are named {twice[0]!r}; --mix could not tell them apart")
    total = sum(model.rate_per_s for model in models)
    classes = [
        replace(one, name=f"{model.name}/{one.name}", share=one.share * model.rate_per_s / total if total else 0.0)
        for model in models
        for one in model.classes
    ]
    return Model(name=" + ".join(names), classes=tuple(classes))


def mix_of(models: Sequence[Model], asked: Mapping[str, float]) -> dict[str, float]:
    """Return the share of each class of ``together(models)``. ``asked`` names classes, or models if there are several.

    A model's part is shared out among its classes as the model has them. Raises ``OperatorError`` for unknown names.
    """
    if len(models) == 1:
        known = [one.name for one in models[0].classes]
        found = {name: share for name, share in asked.items() if name in known}
    else:
        known = [model.name for model in models]
        found = {
            f"{model.name}/{one.name}": asked.get(model.name, 0.0) * one.share
            for model in models
            for one in model.classes
        }
    if unknown := [name for name in asked if name not in known]:
        raise OperatorError(f"--mix {unknown[0]}: no such name; there are {', '.join(known)}")
    total = sum(found.values())
    if not total > 0:
        raise OperatorError("--mix: at least one share must be above zero")
    return {name: share / total for name, share in found.items()}

"""Small workload models for tests: an API class of Gamma gaps and a class of conversations."""

from dataclasses import replace

from workload.model.model import (
    Arrivals,
    Lengths,
    LogNormal,
    Model,
    ModelClass,
    Quantiles,
    ResponseBin,
    Sessions,
    shares_of,
)

LENGTHS = Lengths(
    probabilities=(0.0, 0.5, 0.9, 1.0),
    request_tokens=(5, 100, 1000, 9000),
    response_given_request=(
        ResponseBin(request_up_to=100, response_tokens=(1, 10, 30, 90)),
        ResponseBin(request_up_to=9000, response_tokens=(20, 200, 600, 1500)),
    ),
)
SESSIONS = Sessions(
    turns=(0.4, 0.3),
    tail_ratio=0.6,
    turns_max=12,
    think_time_s=LogNormal(mu=3.0, sigma=1.0, max_s=600.0),
    growth_tokens=Quantiles(probabilities=(0.0, 0.1, 1.0), values=(-100, 0, 300)),
    first_request_tokens=Quantiles(probabilities=(0.0, 0.5, 1.0), values=(5, 80, 900)),
)


def api_class(*, name="api", rate_per_s=5.0, alpha=0.5, family="gamma", share=1.0, **rest):
    arrivals = {key: rest.pop(key) for key in ("profile", "timeline", "window_s") if key in rest}
    return ModelClass(
        name=name,
        share=share,
        model=rest.pop("model", "ChatGPT"),
        log_type=rest.pop("log_type", "API log"),
        arrivals=Arrivals(rate_per_s=rate_per_s, alpha=alpha, family=family, **arrivals),
        lengths=rest.pop("lengths", LENGTHS),
        **rest,
    )


def conversation_class(*, name="conversation", rate_per_s=1.0, share=1.0, sessions=SESSIONS, **rest):
    return ModelClass(
        name=name,
        share=share,
        model="GPT-4",
        log_type="Conversation log",
        arrivals=Arrivals(kind="sessions", family="exponential", rate_per_s=rate_per_s, alpha=1.0),
        lengths=LENGTHS,
        sessions=sessions,
        **rest,
    )


def model_of(*classes, name="small"):
    shares = shares_of(classes)
    return Model(name=name, classes=tuple(replace(one, share=s) for one, s in zip(classes, shares, strict=True)))

"""The endpoint client against a real server on a real socket that misbehaves in every way servers do."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import ConfigError, RunError
from benchmarks.scripted_endpoint import Raw, ScriptedEndpoint, completion, events, serve, streamed
from chat import endpoint as module
from chat.endpoint import Endpoint, retry_after
from chat.kept import ChatFile
from chat.reply import Answer, AnswerError, EndpointError, Reply, UnansweredError
from chat.settings import EndpointSettings


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.02)


def question(text: str = "hello") -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def ask(
    server: ScriptedEndpoint, kept: Path, *texts: str, n: int = 1, seed: int | None = None, **keys: Any
) -> tuple[list[Reply | BaseException], Endpoint]:
    """Asks all at once; an exception stands in the place of its reply."""

    async def main() -> tuple[list[Reply | BaseException], Endpoint]:
        async with Endpoint(EndpointSettings.read(server.config(**keys), "model"), kept / "chat.jsonl") as client:
            asked = (client.ask(question(text), temperature=0.5, max_tokens=9, n=n, seed=seed) for text in texts)
            return await asyncio.gather(*asked, return_exceptions=True), client

    return asyncio.run(main())


def one(server: ScriptedEndpoint, kept: Path, **keys: Any) -> Reply:
    (reply,), _ = ask(server, kept, "hello", **keys)
    if isinstance(reply, BaseException):
        raise reply
    return reply


def rows(kept: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (kept / "chat.jsonl").read_text().splitlines()]


def test_a_question_and_its_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with serve(lambda request: completion("bonjour", "length")) as server:
        reply = one(server, tmp_path, request={"chat_template_kwargs": {"enable_thinking": False}, "top_p": None})
        assert reply == Reply((Answer("bonjour", "length"),), 7, 3)
        assert not reply.answers[0].finished
        assert server.requests == [
            {
                "model": "scripted",
                "messages": question(),
                "temperature": 0.5,
                "max_tokens": 9,
                "n": 1,
                "chat_template_kwargs": {"enable_thinking": False},
            }
        ]
        assert server.keys == ["Bearer secret"]
    assert "secret" not in (tmp_path / "chat.jsonl").read_text()
    assert rows(tmp_path)[0]["answer"]["choices"][0]["message"]["content"] == "bonjour"


def test_top_p_and_stop_are_asked_for(tmp_path: Path) -> None:
    async def main(server: ScriptedEndpoint) -> None:
        async with Endpoint(EndpointSettings.read(server.config(), "model"), tmp_path / "chat.jsonl") as client:
            await client.ask(question(), temperature=0.5, max_tokens=9, top_p=0.75, stop=["\n"])

    with serve(lambda request: completion("bonjour", "stop")) as server:
        asyncio.run(main(server))
        assert [(asked["top_p"], asked["stop"]) for asked in server.requests] == [(0.75, ["\n"])]


def test_every_answer_is_kept_and_never_asked_again(tmp_path: Path) -> None:
    texts = [f"question {n}" for n in range(20)]
    with serve(lambda request: request["messages"][0]["content"].upper()) as server:
        first, _ = ask(server, tmp_path, *texts)
        again, client = ask(server, tmp_path, *texts)
        assert first == again == [Reply((Answer(text.upper(), "stop"),), 7, 3) for text in texts]
        assert len(server.requests) == 20
        assert (client.counts.cached, client.counts.answers, client.counts.completion_tokens) == (20, 20, 0)
        ask(server, tmp_path, *texts, seed=1)  # another question
        assert len(server.requests) == 40


def test_equal_questions_at_the_same_time_are_one(tmp_path: Path) -> None:
    with serve(lambda request: "same") as server:
        replies, _ = ask(server, tmp_path, *["hello"] * 5)
        assert len(server.requests) == 1
        assert len(set(replies)) == 1


def test_no_more_under_way_than_said(tmp_path: Path) -> None:
    with serve(lambda request: Raw(body=completion("x").body, delay_s=0.02)) as server:
        ask(server, tmp_path, *map(str, range(12)), concurrency=3)
        assert server.most_at_once == 3


def test_fewer_answers_than_wanted_are_asked_for_again(tmp_path: Path) -> None:
    with serve(lambda request: [f"{request['seed']}", f"{request['seed'] + 1}"][: request["n"]]) as server:
        reply = one(server, tmp_path, n=5, seed=10)
        assert [answer.text for answer in reply.answers] == ["10", "11", "12", "13", "14"]
        assert reply.completion_tokens == 15
        assert [request["n"] for request in server.requests] == [5, 3, 1]
        assert one(server, tmp_path, n=5, seed=10) == reply
        assert len(server.requests) == 3


def test_a_server_that_knows_one_answer_only(tmp_path: Path) -> None:
    def script(request: dict[str, Any]) -> str | Raw:
        return Raw(400, b"n must be 1") if request["n"] > 1 else "x"

    with serve(script) as server:
        assert len(one(server, tmp_path, n=4, retries=0).answers) == 4
        assert [request["n"] for request in server.requests] == [4, 1, 1, 1, 1]


def test_what_a_server_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    with serve(lambda request: Raw(500, b"\x1b[2J busy")) as server:
        (reply,), _ = ask(server, tmp_path, "hello", retries=0)
    assert isinstance(reply, UnansweredError) and "\u241b[2J busy" in str(reply) and "\x1b" not in str(reply)


def test_such_a_server_loses_none_of_the_questions_under_way(tmp_path: Path) -> None:
    def script(request: dict[str, Any]) -> str | Raw:
        return Raw(400, b"n must be 1") if request["n"] > 1 else "x"

    with serve(script) as server:
        replies, _ = ask(server, tmp_path, *"abc", n=2, retries=0)
        assert [len(reply.answers) for reply in replies if isinstance(reply, Reply)] == [2, 2, 2]


PASSING = {
    "busy": Raw(429, b"slow down", {"Retry-After": "0"}),
    "overloaded": Raw(503, b"<html>overloaded</html>"),
    "time-out of a gateway": Raw(504),
    "silence": Raw(body=completion("late").body, delay_s=1.0),
    "a dribble": Raw(body=completion("late").body, dribble_s=0.05),
    "garbage": Raw(body=b"\xff\xfe\x00 not JSON"),
    "nothing": Raw(),
    "half a JSON": Raw(body=completion("hello").body[:40]),
    "a connection that breaks": Raw(body=completion("hello").body[:40], cut=True),
    "no choices": Raw(body=b'{"choices": []}'),
    "null": Raw(body=b"null"),
    "another kind of object": Raw(body=b'{"choices": [{"text": "old completion"}]}'),
    "content that is no text": Raw(body=b'{"choices": [{"message": {"content": 7}}]}'),
    "very deep": Raw(body=b"[" * 200_000),
    "an answer without end": Raw(body=b" " * 3_000_000),
}


@pytest.mark.parametrize("trouble", PASSING)
def test_what_goes_wrong_in_passing_is_asked_again(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_BODY", 1_000_000)
    script = iter([PASSING[trouble], PASSING[trouble], completion("good")])
    with serve(lambda request: next(script)) as server:
        (reply,), client = ask(server, tmp_path, "hello", timeout_s=0.4)
        assert reply == Reply((Answer("good", "stop"),), 7, 3)
        assert client.counts.retries == 2
        assert client.counts.trouble == ""
    assert ["error" in row for row in rows(tmp_path)] == [True, True, False]


def test_a_question_that_never_gets_an_answer_does_not_stop_the_others(tmp_path: Path) -> None:
    def script(request: dict[str, Any]) -> str | Raw:
        return Raw(500, b"a bug") if request["messages"][0]["content"] == "bad" else "good"

    with serve(script) as server:
        replies, _ = ask(server, tmp_path, "bad", "fine", retries=2)
        assert isinstance(replies[0], UnansweredError)
        assert str(replies[0]) == "HTTP 500: a bug, after 3 tries"
        assert isinstance(replies[1], Reply)
        assert len(server.requests) == 4


def test_a_refused_question_is_not_asked_again(tmp_path: Path) -> None:
    with serve(lambda request: Raw(400, b"a prompt of 40000 tokens, the model takes 32768")) as server:
        with pytest.raises(UnansweredError, match="HTTP 400: a prompt of 40000 tokens"):
            one(server, tmp_path)
        assert len(server.requests) == 1


def test_a_dead_endpoint_ends_it_with_one_sentence(tmp_path: Path) -> None:
    with serve(lambda request: Raw(502, b"bad gateway")) as server:
        replies, _ = ask(server, tmp_path, *map(str, range(6)), retries=1, concurrency=2)
        assert [type(reply) for reply in replies].count(UnansweredError) == 2
        last = replies[-1]
        assert isinstance(last, EndpointError)
        assert "questions to http://127.0.0.1" in str(last) and "bad gateway" in str(last)


def test_retry_after_is_waited_for_by_all(tmp_path: Path) -> None:
    times: list[float] = []

    def script(request: dict[str, Any]) -> str | Raw:
        times.append(time.monotonic())
        return Raw(429, b"", {"Retry-After": "1"}) if len(times) == 1 else "good"

    with serve(script) as server:
        replies, _ = ask(server, tmp_path, "one", "two", "three", concurrency=1)
        assert all(isinstance(reply, Reply) for reply in replies)
        assert times[1] - times[0] >= 1.0


def test_a_retry_after_of_hours_is_the_users_to_decide(tmp_path: Path) -> None:
    with (
        serve(lambda request: Raw(429, b"", {"Retry-After": "86400"})) as server,
        pytest.raises(EndpointError, match="a pause of 86400 s"),
    ):
        one(server, tmp_path)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("3", 3.0), ("0.5", 0.5), ("-4", 0.0), ("soon", None), ("", None), ("nan", None)],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    seconds = retry_after(formatdate(time.time() + 30, usegmt=True))
    assert seconds is not None and 28 <= seconds <= 31


def test_wrong_keys_get_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda request: Raw(401, b"who are you?")) as server:
        monkeypatch.delenv("MY_KEY", raising=False)
        with pytest.raises(EndpointError, match="environment variable MY_KEY is not set"):
            one(server, tmp_path, key_env="MY_KEY")
        monkeypatch.setenv("MY_KEY", "wrong")
        with pytest.raises(EndpointError, match="environment variable MY_KEY is refused"):
            one(server, tmp_path, key_env="MY_KEY")


@pytest.mark.parametrize("status", [400, 404])
def test_a_wrong_model_is_answered_with_the_models_there_are(status: int, tmp_path: Path) -> None:
    sentence = r"^model\.name is 'scripted'; the models at http\S+ are alpha, beta$"
    with (
        serve(lambda request: Raw(status, b"no such model"), models=("alpha", "beta")) as server,
        pytest.raises(EndpointError, match=sentence),
    ):
        one(server, tmp_path)


def test_a_wrong_address(tmp_path: Path) -> None:
    with serve(lambda request: "x") as server:
        with pytest.raises(EndpointError, match=r"nothing is at \S+/chat/completions.*most addresses end with /v1"):
            one(server, tmp_path, base_url=server.url.removesuffix("/v1"))
        with pytest.raises(ConfigError, match=r"model\.base_url is 'localhost'"):
            one(server, tmp_path, base_url="localhost")
        with pytest.raises(ConfigError, match=r"model\.concurrency is 0"):
            one(server, tmp_path, concurrency=0)


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with (
        serve(lambda request: "x") as server,
        pytest.raises(EndpointError, match=f"no server answers at http://127.0.0.1:{port}/v1"),
    ):
        one(server, tmp_path, base_url=f"http://127.0.0.1:{port}/v1")


def test_an_account_without_credit_is_not_asked_again(tmp_path: Path) -> None:
    with serve(lambda request: Raw(429, b'{"error": {"code": "insufficient_quota"}}')) as server:
        with pytest.raises(EndpointError, match="no credit left"):
            one(server, tmp_path)
        assert len(server.requests) == 1


def test_half_a_line_of_a_killed_run_is_passed_over(tmp_path: Path) -> None:
    with serve(lambda request: "x") as server:
        one(server, tmp_path)
        path = tmp_path / "chat.jsonl"
        whole = path.read_bytes()
        path.write_bytes(whole + whole[: len(whole) // 2])
        one(server, tmp_path)
        one(server, tmp_path, seed=1)
        one(server, tmp_path, seed=1)
        assert len(server.requests) == 2
    lines = path.read_bytes().split(b"\n")
    assert lines[1] == whole[: len(whole) // 2]
    assert json.loads(lines[2])["request"]["seed"] == 1


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*chat\.jsonl"):
        ChatFile(tmp_path / "file" / "chat.jsonl")


PLAIN = st.none() | st.booleans() | st.integers() | st.text()
MESSAGE = PLAIN | st.fixed_dictionaries({}, optional={"content": PLAIN})
CHOICE = PLAIN | st.fixed_dictionaries({}, optional={"message": MESSAGE, "finish_reason": PLAIN})
BODY = PLAIN | st.fixed_dictionaries(
    {},
    optional={
        "choices": PLAIN | st.lists(CHOICE, max_size=3),
        "usage": PLAIN | st.fixed_dictionaries({}, optional={"prompt_tokens": PLAIN, "completion_tokens": PLAIN}),
    },
)


@given(BODY)
def test_any_body_is_a_reply_or_an_answer_error(body: Any) -> None:
    try:
        reply = Reply.from_body(body)
    except AnswerError:
        return
    assert len(reply.answers) == len(body["choices"])
    assert Reply.from_body(reply.to_body()) == reply
    json.dumps(reply.to_body()).encode()


def test_half_a_character_is_replaced() -> None:
    body = json.loads('{"choices": [{"message": {"content": "a\\ud800b"}, "finish_reason": "stop"}]}')
    assert Reply.from_body(body).answers[0].text == "a?b"


@given(st.lists(st.tuples(st.text() | st.none(), st.sampled_from(["stop", "length"])), min_size=1), st.integers(0))
def test_any_completion_is_read(choices: list[tuple[str | None, str]], tokens: int) -> None:
    body = {
        "choices": [{"message": {"content": text}, "finish_reason": reason} for text, reason in choices],
        "usage": {"completion_tokens": tokens},
    }
    reply = Reply.from_body(body)
    assert [(answer.text, answer.finish_reason) for answer in reply.answers] == [(t or "", r) for t, r in choices]
    assert reply.completion_tokens == tokens


def heard(server: ScriptedEndpoint, kept: Path, n: int = 1, **keys: Any) -> tuple[Reply, list[tuple[int, str]]]:
    """A reply, and what there was of it as it came."""
    texts: list[tuple[int, str]] = []

    async def main() -> Reply:
        async with Endpoint(EndpointSettings.read(server.config(**keys), "model"), kept / "chat.jsonl") as client:
            return await client.ask(
                question(), temperature=0.5, max_tokens=9, n=n, grows=lambda number, text: texts.append((number, text))
            )

    return asyncio.run(main()), texts


def test_an_answer_is_heard_as_it_comes_and_kept_whole(tmp_path: Path) -> None:
    """Its bytes in whatever parts; a line separator inside a string is no end of a line."""
    whole = b"".join(events("a\u2028", "\u00e9", "b"))
    pieces = [whole[start : start + 5] for start in range(0, len(whole), 5)]
    with serve(lambda _: streamed(pieces)) as server:
        reply, texts = heard(server, tmp_path)
        assert server.requests[0]["stream"] is True and server.requests[0]["stream_options"] == {"include_usage": True}
        assert texts == [(0, "a\u2028"), (0, "a\u2028\u00e9"), (0, "a\u2028\u00e9b")]
        assert reply == Reply((Answer("a\u2028\u00e9b", "stop"),), 7, 3)
        again, texts = heard(server, tmp_path)
        assert again == reply and texts == [] and len(server.requests) == 1, "it is in the file"


@pytest.mark.parametrize(
    "broken",
    [
        events("half")[:2],
        events("half", finish_reason=None),
        [*events("half")[:2], b'data: {"error": {"message": "out of memory"}}\n\n'],
        [b"data: nonsense\n\n", *events("half")],
        [b'data: {"choices": [{"delta": {"content": 1}}]}\n\n', *events("half")],
        [],
    ],
)
def test_a_stream_that_breaks_off_begins_again(broken: list[bytes], tmp_path: Path) -> None:
    answers = iter([broken, events("good", " one")])
    with serve(lambda _: streamed(next(answers))) as server:
        reply, texts = heard(server, tmp_path)
    assert reply.answers == (Answer("good one", "stop"),) and texts[-2:] == [(0, "good"), (0, "good one")]
    assert len(server.requests) == 2 and "no chat completion" in rows(tmp_path)[0]["error"]


def test_a_server_that_does_not_stream_answers_all_the_same(tmp_path: Path) -> None:
    with serve(lambda request: "whole") as server:
        reply, texts = heard(server, tmp_path, n=2, request={"stream_options": None})
    assert [answer.text for answer in reply.answers] == ["whole", "whole"] and texts == []
    assert "stream_options" not in server.requests[0], "a key that a server refuses can be left out"

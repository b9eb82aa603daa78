"""What the backend's page shows and does."""

import pytest

from tapestry.backend.choice import BackendChoice
from tapestry.backend.controller import kept_choice
from tapestry.connection.link import LinkState
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.messages import Backend, Submit, Welcome, WorkerInfo, Workers
from tests.krita_plugin.workshop import Workshop


@pytest.fixture
def workshop() -> Workshop:
    """A docker model that was not used yet."""
    return Workshop()


def test_facts_follow_the_backend(workshop: Workshop) -> None:
    """Its state, and the memory that the last picture took."""
    backend_controller = workshop.docker_model.backend_controller
    workshop.finish(workshop.submit(), '{"peak_memory_bytes": 1572864}')
    assert ("Memory of the last picture", "1 MiB at most") in backend_controller.facts
    workshop.backend.tell(Backend("loading", "Card"))
    assert dict(backend_controller.facts)["State"] == "loading the model"
    assert dict(backend_controller.facts)["Device"] == "Card"


def test_a_clusters_computers_are_facts(workshop: Workshop) -> None:
    """Each with its cards, their memory, and what they do; another backend may have none."""
    controller = workshop.docker_model.backend_controller
    workshop.connect()
    before = controller.facts
    workers = (
        WorkerInfo("", "CPU", 0, "starting"),
        WorkerInfo("atelier", "RTX", 24 * 2**30, "busy", "job"),
        WorkerInfo("atelier", "RTX", 24 * 2**30, "ready", "job", is_helping=True),
        WorkerInfo("cellar", "Arc", 2**33, "ready"),
        WorkerInfo("cellar", "", 0, "lost"),
    )
    workshop.backend.tell(Workers(workers, "http://10.0.0.1:8265"))
    facts = dict(controller.facts)
    assert facts["The backend's computer"] == "CPU, starts"
    assert facts["atelier"] == "RTX (24 GiB), paints; RTX (24 GiB), helps to paint"
    assert facts["cellar"] == "Arc (8 GiB), waits; ?, is being started again"
    assert facts["The cluster's own pages"] == "http://10.0.0.1:8265"
    workshop.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, ()))
    assert controller.facts == before


def test_left_out_models_are_shown_with_their_reason(workshop: Workshop) -> None:
    """The first ones, and how many more there are; also in the report."""
    told = tuple(f"'{number}.ckpt' is a pickle." for number in range(14))
    workshop.connect()
    workshop.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, (), (), told))
    left_out = [
        value
        for name, value in workshop.docker_model.backend_controller.facts
        if name == "Left out"
    ]
    assert left_out == [*told[:12], "2 more, which the log names"]
    assert "'0.ckpt' is a pickle." in workshop.docker_model.backend_controller.report()


def test_a_choice_is_kept_and_the_old_backend_goes(workshop: Workshop) -> None:
    """One on another computer is none of ours to stop."""
    docker_model = workshop.docker_model
    workshop.connect()
    distant = BackendChoice(address="localhost:7865", server_file="/x")
    docker_model.choose_backend(distant)
    assert workshop.server.stops == 1
    assert docker_model.backend_controller.choice == distant == kept_choice(workshop.host)
    assert dict(docker_model.backend_controller.facts)["Place"] == "on another computer"
    docker_model.choose_backend(BackendChoice())
    assert workshop.server.stops == 1


def test_a_job_begins_anew_on_the_chosen_backend(workshop: Workshop) -> None:
    """The server is asked about it, and it is sent again."""
    submit = workshop.submit()
    workshop.docker_model.choose_backend(BackendChoice(device="cpu"))
    workshop.backend.answer()
    assert workshop.link.state is LinkState.READY
    assert workshop.docker_model.job.id == submit.job_id
    assert not [message for message in workshop.backend.sent if isinstance(message, Submit)]


def test_the_report_says_what_went_wrong(workshop: Workshop) -> None:
    """Until it is tried again."""
    workshop.backend.can_start = False
    workshop.link.ensure()
    backend_controller = workshop.docker_model.backend_controller
    assert backend_controller.is_in_trouble
    assert "Trouble: The backend is not installed." in backend_controller.report()
    workshop.backend.can_start = True
    workshop.docker_model.try_backend_again()
    assert not backend_controller.is_in_trouble
    assert "Trouble" not in backend_controller.report()


def test_the_log_is_shown_without_the_token(workshop: Workshop) -> None:
    """Both logs, those that are there."""
    workshop.connect()
    workshop.server.log_file.write_text(f"hello {workshop.backend.info.token}", encoding="utf-8")
    log = workshop.docker_model.backend_controller.log
    assert "hello" in log
    assert workshop.backend.info.token not in log
    assert "plugin.log" not in log

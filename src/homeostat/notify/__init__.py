"""Telling people: Slack, Teams, Google Chat, signed webhooks and e-mail, from an outbox that loses nothing."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.notify.channel_verbs import add_channel as add_channel
    from homeostat.notify.channel_verbs import list_channels as list_channels
    from homeostat.notify.channel_verbs import remove_channel as remove_channel
    from homeostat.notify.channel_verbs import send_test as send_test
    from homeostat.notify.hooks import check_hook as check_hook
    from homeostat.notify.hooks import drop_hook as drop_hook
    from homeostat.notify.hooks import put_hook as put_hook
    from homeostat.notify.hooks import tell_hook as tell_hook
    from homeostat.notify.hooks import try_hook as try_hook
    from homeostat.notify.model import Channel as Channel
    from homeostat.notify.model import Delivery as Delivery
    from homeostat.notify.model import Fact as Fact
    from homeostat.notify.model import Message as Message
    from homeostat.notify.outbox import deliver_due as deliver_due
    from homeostat.notify.outbox import list_deliveries as list_deliveries
    from homeostat.notify.outbox import replay_delivery as replay_delivery

__getattr__, __dir__ = door(__name__)

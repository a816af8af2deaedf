import hashlib
import html
import re

from django.db import migrations

ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
BATCH = 500


def decoded(text):
    return ENTITY.sub(lambda entity: html.unescape(entity[0]), text)


def fingerprint(message):
    """As `rentals.lifecycle` makes it: with the old one, the same message would come again as another one."""
    text = " ".join(message.text.split())
    call = f"call:{message.code or message.audio_url or text}"
    return hashlib.sha256((call if message.is_call else f"sms:{text or message.code}").encode()).hexdigest()


def decode_messages(apps, schema_editor):
    """In the transaction of the migration, so each text is decoded once: a second time would change `&amp;lt;` again."""
    Message = apps.get_model("rentals", "Message")
    fields = ("text", "code", "audio_url")
    for message in Message.objects.filter(text__contains="&").order_by().iterator(chunk_size=BATCH):
        before = [getattr(message, name) for name in fields]
        for name in fields:
            setattr(message, name, decoded(getattr(message, name)))
        if before == [getattr(message, name) for name in fields]:
            continue
        message.code = message.code[:40]
        message.fingerprint = fingerprint(message)
        twin = Message.objects.filter(rental=message.rental_id, fingerprint=message.fingerprint).exclude(pk=message.pk)
        if not twin.exists():
            message.save(update_fields=[*fields, "fingerprint"])


def decode_services(apps, schema_editor):
    """The name by which it is searched follows at the next reading of the catalog."""
    Service = apps.get_model("rentals", "Service")
    for service in Service.objects.filter(name__contains="&"):
        Service.objects.filter(pk=service.pk).update(
            name=decoded(service.name), search_name=decoded(service.search_name)
        )


class Migration(migrations.Migration):

    dependencies = [
        ('rentals', '0015_messages_keep_both_readings'),
    ]

    operations = [
        migrations.RunPython(decode_messages, migrations.RunPython.noop),
        migrations.RunPython(decode_services, migrations.RunPython.noop),
    ]

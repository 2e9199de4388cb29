"""TLS at the DICOM port: settings in, an SSL context by BCP 195 (PS3.15 Annex B.12) out."""

from __future__ import annotations

import ssl

from triage.errors import Misconfigured
from workers.sections import ClientTlsSettings, TlsSettings

# RFC 9325 section 4.2: forward secrecy and authenticated encryption; TLS 1.3 has no other suites
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(settings: TlsSettings, *, section: str = "listener.tls") -> ssl.SSLContext:
    """The context of the server side.

    Args:
        section: where ``settings`` stand, for the message of an error.

    Raises:
        Misconfigured: a file cannot be read, or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    try:
        context.load_cert_chain(settings.certificate, settings.private_key)
    except OSError as error:
        raise Misconfigured(f"{section}.certificate, {section}.private_key: {_why(error)}") from error
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(settings.client_ca)
        except OSError as error:
            raise Misconfigured(f"{section}.client_ca: {_why(error)}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: ClientTlsSettings) -> ssl.SSLContext:
    """The context of the side that calls; the server's certificate must be signed by ``ca`` and name the host.

    Raises:
        Misconfigured: a file cannot be read, or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.check_hostname = settings.check_hostname
    try:
        context.load_verify_locations(settings.ca)
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, settings.private_key)
    except OSError as error:
        raise Misconfigured(f"tls.ca, tls.certificate, tls.private_key: {_why(error)}") from error
    return context


def _why(error: OSError) -> str:
    return error.strerror or str(error)

"""Certificates for tests, self-signed or signed by an authority of the test."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, in one file."""

    pem: Path

    def config(self, more: str = "") -> str:
        """Return the block `tls` of the configuration of a nats-server that presents it."""
        return f'tls {{ cert_file: "{self.pem}", key_file: "{self.pem}"{more} }}\n'

    @property
    def serving(self) -> ssl.SSLContext:
        """The context of a server that presents it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem)
        return context

    @property
    def trusting(self) -> ssl.SSLContext:
        """The context of a client that trusts it."""
        return ssl.create_default_context(cafile=str(self.pem))


class CertificateAuthority:
    """A certificate authority with its own key."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        made = _builder(self._name, self._name, self._key)
        made = (
            made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
            .add_extension(self._own_identifier(), critical=False)
        )
        self.pem = folder / f"{name}.pem"
        """The certificate of this authority, without its key."""
        self.pem.write_bytes(_text(made.sign(self._key, hashes.SHA256())))

    @property
    def trusting(self) -> ssl.SSLContext:
        """The context of a client that trusts the certificates of this authority."""
        return ssl.create_default_context(cafile=str(self.pem))

    def certificate(self, name: str) -> Certificate:
        """Make a certificate with its key, for a host or a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
            self._own_identifier()
        )
        made = (
            _builder(_named(name), self._name, key)
            .add_extension(names, critical=False)
            .add_extension(issuer, critical=False)  # Python 3.13 asks for it, RFC 5280, 4.2.1.1
        )
        return _kept(self._folder / f"{name}.pem", key, made.sign(self._key, hashes.SHA256()))

    def _own_identifier(self) -> x509.SubjectKeyIdentifier:
        return x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())


def self_signed(folder: Path, address: str) -> Certificate:
    """Make a certificate for an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("localhost")
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    certificate = (
        _builder(name, name, key)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _kept(folder / "server.pem", key, certificate)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def _text(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _kept(pem: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> Certificate:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem.write_bytes(private + _text(certificate))
    return Certificate(pem)

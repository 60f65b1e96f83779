"""MQTT: what all parts share that speak it by paho, from the event loop and without paho's thread.

    address, options -> brokers -> link -> dialling, connection (driving, flights, deliveries) -> a broker
    trigger <- inbox <- intake <-'    '<- destination <- outbox <- output

The hub of IoT Edge has a connection of its own kind (hubs/iot_edge) on the same driving, flights and deliveries.
"""

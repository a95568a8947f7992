// The virtual network: one subnet for the app's way out, one for private endpoints, and the way to the own premises.
param token string
param location string
param tags object
param range string
param dnsServers string[]
param hubNetworkId string
param onPremisesRanges string[]
param hubFirewallAddress string

// Nobody connects to the app's subnet from outside, and only the app connects to the endpoints.
resource closed 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'nsg-bic-app-${token}'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'nothing-in'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource forEndpoints 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'nsg-bic-endpoints-${token}'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'app-in'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: cidrSubnet(range, 26, 0)
          sourcePortRange: '*'
          destinationAddressPrefix: cidrSubnet(range, 26, 1)
          destinationPortRanges: ['443', '1433']
        }
      }
      {
        name: 'nothing-else-in'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource routes 'Microsoft.Network/routeTables@2024-05-01' = {
  name: 'rt-bic-${token}'
  location: location
  tags: tags
  properties: {
    disableBgpRoutePropagation: false
    routes: [for (prefix, index) in (empty(hubFirewallAddress) ? [] : onPremisesRanges): {
      name: 'on-premises-${index}'
      properties: {
        addressPrefix: prefix
        nextHopType: 'VirtualAppliance'
        nextHopIpAddress: hubFirewallAddress
      }
    }]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'vnet-bic-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [range] }
    dhcpOptions: { dnsServers: dnsServers }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(range, 26, 0)
          networkSecurityGroup: { id: closed.id }
          routeTable: { id: routes.id }
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(range, 26, 1)
          networkSecurityGroup: { id: forEndpoints.id }
          privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
        }
      }
    ]
  }

  resource toHub 'virtualNetworkPeerings' = if (!empty(hubNetworkId)) {
    name: 'to-hub'
    properties: {
      remoteVirtualNetwork: { id: hubNetworkId }
      allowVirtualNetworkAccess: true
      allowForwardedTraffic: false
      allowGatewayTransit: false
      useRemoteGateways: true
    }
  }
}

output networkId string = network.id
output appSubnetId string = '${network.id}/subnets/app'
output endpointsSubnetId string = '${network.id}/subnets/endpoints'

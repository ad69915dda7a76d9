// Types that several modules share.

@export()
@description('A role of Azure for a principal.')
type grant = {
  @description('The object id of the principal.')
  principalId: string

  @description('Stated, because a new identity may not be known everywhere yet.')
  principalType: 'ServicePrincipal' | 'User' | 'Group'

  @description('The id of a built-in role.')
  roleDefinitionId: string
}
